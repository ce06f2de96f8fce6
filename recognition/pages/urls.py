"""The pages' addresses."""

from __future__ import annotations

from django.contrib.auth import views as auth
from django.urls import path, reverse_lazy

from recognition.pages import account, classes, images, labelling, projects, trained, trainings

urlpatterns = [
    path('', projects.listing, name='projects'),
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
    path('keys/', account.show_keys, name='keys'),
    path('keys/issue/', account.issue_key, name='issue-key'),
    path('keys/<int:key_id>/revoke/', account.revoke_key, name='revoke-key'),
    path('zoo/', account.zoo, name='zoo'),
    path('help/', account.help_page, name='help'),
    path('projects/create/', projects.create, name='create-project'),
    path('projects/<uuid:project_id>/', projects.show, name='project'),
    path('projects/<uuid:project_id>/rename/', projects.rename, name='rename-project'),
    path('projects/<uuid:project_id>/task/', projects.change_task, name='change-task'),
    path('projects/<uuid:project_id>/delete/', projects.delete, name='delete-project'),
    path('projects/<uuid:project_id>/restore/', projects.restore, name='restore-project'),
    path('projects/<uuid:project_id>/members/', projects.members, name='members'),
    path('projects/<uuid:project_id>/members/share/', projects.share, name='share'),
    path('projects/<uuid:project_id>/members/unshare/', projects.unshare, name='unshare'),
    path('projects/<uuid:project_id>/images/<uuid:image_id>/', images.show, name='image'),
    path('projects/<uuid:project_id>/boxes/', labelling.show, name='label-boxes'),
    path('projects/<uuid:project_id>/boxes/<uuid:image_id>/', labelling.show, name='label-image'),
    path('projects/<uuid:project_id>/classes/create/', classes.create, name='create-class'),
    path(
        'projects/<uuid:project_id>/classes/deleted/<int:deleted_id>/restore/',
        classes.restore,
        name='restore-class',
    ),
    path('projects/<uuid:project_id>/classes/none/', classes.show, name='unlabelled'),
    path('projects/<uuid:project_id>/classes/<int:label_id>/', classes.show, name='class'),
    path('projects/<uuid:project_id>/classes/<int:label_id>/rename/', classes.rename, name='rename-class'),
    path('projects/<uuid:project_id>/classes/<int:label_id>/delete/', classes.delete, name='delete-class'),
    path('projects/<uuid:project_id>/train/', trainings.start, name='train'),
    path('trainings/<uuid:job_id>/', trainings.show, name='training'),
    path('trainings/<uuid:job_id>/cancel/', trainings.cancel, name='cancel-training'),
    path('models/<uuid:model_id>/', trained.show, name='model'),
    path('models/<uuid:model_id>/publish/', trained.publish, name='publish'),
    path('models/<uuid:model_id>/offer/', trained.offer, name='offer'),
    path('models/<uuid:model_id>/withdraw-offer/', trained.withdraw_offer, name='withdraw-offer'),
    path('publications/<int:publication_id>/rollback/', trained.rollback, name='rollback'),
    path('publications/<int:publication_id>/unpublish/', trained.unpublish, name='unpublish'),
]
