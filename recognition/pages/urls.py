"""URLs of the pages."""

from __future__ import annotations

from django.contrib.auth import views as auth
from django.urls import path, reverse_lazy

from recognition.pages import api_keys, classes, help, images, models, projects, trainings, zoo

urlpatterns = [
    path('', projects.list_projects, name='projects'),
    path('login/', auth.LoginView.as_view(redirect_authenticated_user=True), name='login'),
    path('logout/', auth.LogoutView.as_view(), name='logout'),
    path(
        'password/',
        auth.PasswordChangeView.as_view(
            template_name='registration/password.html', success_url=reverse_lazy('password-changed')
        ),
        name='password',
    ),
    path(
        'password/changed/',
        auth.PasswordChangeDoneView.as_view(template_name='registration/password_changed.html'),
        name='password-changed',
    ),
    path('keys/', api_keys.list_keys, name='keys'),
    path('keys/create/', api_keys.create_key, name='create-key'),
    path('keys/<int:key_id>/revoke/', api_keys.revoke_key, name='revoke-key'),
    path('zoo/', zoo.list_sources, name='zoo'),
    path('help/', help.show_help, name='help'),
    path('projects/create/', projects.create_project, name='create-project'),
    path('projects/<uuid:project_id>/', projects.show_project, name='project'),
    path('projects/<uuid:project_id>/rename/', projects.rename_project, name='rename-project'),
    path('projects/<uuid:project_id>/task/', projects.change_task, name='change-task'),
    path('projects/<uuid:project_id>/delete/', projects.delete_project, name='delete-project'),
    path('projects/<uuid:project_id>/restore/', projects.restore_project, name='restore-project'),
    path('projects/<uuid:project_id>/members/', projects.list_members, name='members'),
    path('projects/<uuid:project_id>/members/add/', projects.add_member, name='add-member'),
    path('projects/<uuid:project_id>/members/remove/', projects.remove_member, name='remove-member'),
    path('projects/<uuid:project_id>/images/<uuid:image_id>/', images.show_image, name='image'),
    path('projects/<uuid:project_id>/boxes/', images.draw_boxes, name='label-boxes'),
    path('projects/<uuid:project_id>/boxes/<uuid:image_id>/', images.draw_boxes, name='label-image'),
    path('projects/<uuid:project_id>/classes/create/', classes.create_class, name='create-class'),
    path(
        'projects/<uuid:project_id>/classes/deleted/<int:deleted_id>/restore/',
        classes.restore_class,
        name='restore-class',
    ),
    path('projects/<uuid:project_id>/classes/none/', classes.show_class, name='unlabelled'),
    path('projects/<uuid:project_id>/classes/<int:label_id>/', classes.show_class, name='class'),
    path(
        'projects/<uuid:project_id>/classes/<int:label_id>/rename/', classes.rename_class, name='rename-class'
    ),
    path(
        'projects/<uuid:project_id>/classes/<int:label_id>/delete/', classes.delete_class, name='delete-class'
    ),
    path('projects/<uuid:project_id>/train/', trainings.create_training, name='train'),
    path('trainings/<uuid:job_id>/', trainings.show_training, name='training'),
    path('trainings/<uuid:job_id>/cancel/', trainings.cancel_training, name='cancel-training'),
    path('models/<uuid:model_id>/', models.show_model, name='model'),
    path('models/<uuid:model_id>/publish/', models.publish_model, name='publish'),
    path('models/<uuid:model_id>/promote/', models.promote_model, name='promote'),
    path('models/<uuid:model_id>/withdraw/', models.withdraw_promotion, name='withdraw-promotion'),
    path('publications/<int:publication_id>/rollback/', models.roll_back_publication, name='rollback'),
    path('publications/<int:publication_id>/unpublish/', models.unpublish, name='unpublish'),
]
